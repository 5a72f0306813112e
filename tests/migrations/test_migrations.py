"""The upgrade path equals the models, to what autogenerate does not see; and it can be walked back."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from storage import migrate
from storage.engine import connect
from storage.migrate import SchemaAbsent, SchemaNewer, config, pending, shards_fixed, upgrade
from storage.tables import DEFINITIONS, METADATA

ROOT = Path(migrate.__file__).parents[1]
EVERY = [s.revision for s in ScriptDirectory.from_config(config()).walk_revisions()][::-1]

# What PostgreSQL knows of a schema, as text that two databases can be compared by.
OURS = "relnamespace = 'public'::regnamespace and relname not like 'alembic_version%'"
CATALOG = {
    "relations": f"""
        select relname, relkind, reloptions, obj_description(oid, 'pg_class')
        from pg_class where {OURS}""",
    "columns": f"""
        select relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
               attgenerated, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
        from pg_class c join pg_attribute a on attrelid = c.oid
        left join pg_attrdef on adrelid = c.oid and adnum = attnum
        where {OURS} and attnum > 0 and not attisdropped""",
    "constraints": f"""
        select relname, conname, contype, convalidated, pg_get_constraintdef(k.oid)
        from pg_class c join pg_constraint k on conrelid = c.oid where {OURS}""",
    "indexes": f"""
        select pg_get_indexdef(indexrelid), indisvalid
        from pg_class c join pg_index on indrelid = c.oid where {OURS}""",
    "sequences": f"""
        select relname, format_type(seqtypid, null), seqstart, seqincrement, seqmax, seqcache,
               seqcycle, (select refobjid::regclass::text from pg_depend
                          where objid = c.oid and deptype in ('a', 'i') and refobjsubid > 0)
        from pg_class c join pg_sequence on seqrelid = c.oid where {OURS}""",
    "views": f"select relname, pg_get_viewdef(oid) from pg_class where {OURS} and relkind = 'v'",
    "triggers": f"""
        select pg_get_triggerdef(t.oid)
        from pg_class c join pg_trigger t on tgrelid = c.oid where {OURS} and not tgisinternal""",
    "functions": """
        select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace""",
}


@pytest.fixture
def engine(empty_database_url):
    engine = connect(empty_database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def migrated(database_url):
    engine = connect(database_url)
    yield engine
    engine.dispose()


def catalog(engine):
    with engine.connect() as conn:
        return {part: sorted(map(tuple, conn.execute(text(sql))), key=repr) for part, sql in CATALOG.items()}


def test_autogenerate_finds_nothing_to_do(migrated):
    with migrated.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_the_upgrade_path_equals_the_models(engine, migrated):
    with engine.begin() as conn:
        METADATA.create_all(conn)
        for definition in DEFINITIONS:
            conn.execute(text(definition))
    modeled, upgraded = catalog(engine), catalog(migrated)
    for part in CATALOG:
        assert upgraded[part] == modeled[part], part


def test_the_catalog_sees_what_is_to_be_compared(migrated):
    """Lest the comparison above holds because its queries find nothing."""
    found = {part: repr(rows) for part, rows in catalog(migrated).items()}
    assert "fillfactor=70" in found["relations"]
    assert "append-only; the truth." in found["relations"]
    assert "set once; null while" in found["columns"]
    assert "nextval('journal_seq'::regclass)" in found["columns"]
    assert "orders_created_check" in found["constraints"]
    assert "WHERE (NOT finished)" in found["indexes"]
    assert "placed_at DESC" in found["indexes"]
    assert "JOIN journal" in found["views"]
    assert "BEFORE INSERT ON public.journal" in found["triggers"]
    assert "pg_advisory_xact_lock_shared" in found["functions"]


def test_the_first_upgrade_fixes_the_shards(engine, empty_database_url):
    upgrade(empty_database_url, shards=7)
    with engine.connect() as conn:
        assert shards_fixed(conn) == 7
        marks = conn.execute(text("select shard, seq from relay_marks order by shard")).all()
        assert marks == [(shard, 0) for shard in range(7)]
        horizon = conn.execute(text("select id, safe_seq, next_seq from relay_horizon")).all()
        assert horizon == [(1, 0, 0)]


def test_a_second_upgrade_changes_nothing(engine, empty_database_url):
    assert pending(empty_database_url) == EVERY
    assert upgrade(empty_database_url, shards=7) == EVERY
    before = catalog(engine)
    assert pending(empty_database_url) == []
    assert upgrade(empty_database_url, shards=8) == []
    assert catalog(engine) == before
    with engine.connect() as conn:
        assert shards_fixed(conn) == 7


def test_no_shards_are_refused_before_anything_is_made(engine, empty_database_url):
    with pytest.raises(ValueError, match="at least 1"):
        upgrade(empty_database_url, shards=0)
    assert catalog(engine)["relations"] == []


def test_a_downgrade_leaves_nothing_and_can_be_upgraded_again(engine, empty_database_url):
    upgrade(empty_database_url, shards=3)
    before = catalog(engine)
    with engine.connect() as conn:
        command.downgrade(config(conn), "base")
    assert not any(catalog(engine).values())
    assert upgrade(empty_database_url, shards=3) == EVERY
    assert catalog(engine) == before


def test_of_many_threads_one_upgrades(empty_database_url):
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(upgrade, [empty_database_url] * 8, [5] * 8))
    assert sorted(done) == [[]] * 7 + [EVERY]


def test_of_many_processes_one_upgrades(empty_database_url, engine):
    script = "import sys; from storage.migrate import upgrade; print(*upgrade(sys.argv[1], 5))"
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", script, empty_database_url],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    told = [process.communicate(timeout=60)[0].split() for process in racing]
    assert [process.returncode for process in racing] == [0] * 4
    assert sorted(told) == [[]] * 3 + [EVERY]
    with engine.connect() as conn:
        assert shards_fixed(conn) == 5


def test_an_upgrade_waits_for_its_rival(empty_database_url, engine):
    with engine.connect() as conn, ThreadPoolExecutor(1) as pool:
        conn.execute(text("select pg_advisory_lock(:lock)"), {"lock": migrate.LOCK})
        conn.commit()
        late = pool.submit(upgrade, empty_database_url, 5)
        with pytest.raises(TimeoutError):
            late.result(0.5)
        assert catalog(engine)["relations"] == []
        conn.execute(text("select pg_advisory_unlock(:lock)"), {"lock": migrate.LOCK})
        conn.commit()
        assert late.result(30) == EVERY


def test_a_failed_upgrade_leaves_nothing_behind(engine, empty_database_url):
    with engine.begin() as conn:
        conn.execute(text("create table trackers (theirs int)"))
    before = catalog(engine)
    with pytest.raises(ProgrammingError, match="trackers"):
        upgrade(empty_database_url, shards=5)
    assert catalog(engine) == before
    with engine.begin() as conn:
        conn.execute(text("drop table trackers"))
    assert upgrade(empty_database_url, shards=5) == EVERY


@pytest.mark.parametrize("ask", [pending, lambda url: upgrade(url, 5)], ids=["pending", "upgrade"])
def test_a_schema_of_a_newer_version_is_left_alone(ask, migrated, database_url):
    with migrated.begin() as conn:
        conn.execute(text("update alembic_version set version_num = '9999_contract_x'"))
    before = catalog(migrated)
    with pytest.raises(SchemaNewer, match=rf"9999_contract_x.*{EVERY[-1]}.*DATABASE_URL") as told:
        ask(database_url)
    assert told.value.code == "schema_newer"
    assert catalog(migrated) == before


def test_the_shards_of_an_absent_schema_cannot_be_told(engine):
    with engine.connect() as conn, pytest.raises(SchemaAbsent, match="orders migrate"):
        shards_fixed(conn)


def test_the_newest_migration_is_named_for_those_who_ask_without_alembic():
    assert ScriptDirectory.from_config(config()).get_current_head() == migrate.NEWEST


def test_each_migrations_file_says_its_number_what_changes_and_when_to_run_it():
    for script in ScriptDirectory.from_config(config()).walk_revisions():
        number, *_, when = Path(script.path).stem.split("_")
        assert script.revision.startswith(f"{number}_")
        assert number == "0001" or when in ("before", "after", "either"), "of deployment"
        assert len(script.revision) <= 32, "Alembic's column"
