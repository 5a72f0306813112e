"""The Korean of forms that are refused: what is wrong with one, and what to do about it."""

from __future__ import annotations

KOREAN_REFUSALS: dict[str, str] = {
    # what is wrong
    "The edit cannot be read": "수정 내용을 읽을 수 없습니다",
    "The edit cannot be made": "이렇게 수정할 수 없습니다",
    "With this edit it would be given up again": "이렇게 수정하면 다시 포기됩니다",
    "Only events can be edited": "이벤트만 수정할 수 있습니다",
    "More things fit than one act takes": "해당하는 것이 한 번에 처리할 수 있는 것보다 많습니다",
    "It was replayed or discarded meanwhile": "그사이에 다시 처리되거나 폐기되었습니다",
    "Nothing of it is given up any more": "그중 포기 상태인 것이 더 없습니다",
    "The replay cannot be asked for this now": "이 다시 처리는 지금 상태에서 그렇게 할 수 없습니다",
    "A reason is missing, or is too long": "이유가 없거나 너무 깁니다",
    "A field holds what cannot be taken": "받을 수 없는 값이 있는 필드가 있습니다",
    "The note is missing, or is too long": "메모가 없거나 너무 깁니다",
    "What was typed is not the id of this customer": "입력한 것이 이 고객의 ID가 아닙니다",
    # what to do
    "Write a JSON Patch (RFC 6902), or a place such as data.currency and its value.":
        "JSON Patch(RFC 6902)를 쓰거나, data.currency 같은 위치와 그 값을 쓰세요.",
    "Write a JSON Patch of paths under /data, or /subject; add, replace, remove, move and test are its steps.":
        "/data 아래나 /subject를 경로로 하는 JSON Patch를 쓰세요. 단계는 add, replace, remove, move, test입니다.",
    "Edit the field that the message names so that it fits its type.": "메시지에 나온 필드를 그 형식에 맞게 고치세요.",
    "Replay or discard it; narrow a filter by `--kind event`.": "다시 처리하거나 폐기하세요. 조건은 이벤트로 좁히세요(`--kind event`).",
    "Narrow it: by type, reason or time.": "유형, 이유, 시각으로 좁히세요.",
    "Nothing: its event is decided. `orders show` tells what became of it.":
        "할 일이 없습니다. 이벤트는 결정되었고, 결과는 `orders show`에 나옵니다.",
    "Look with `orders given-up list`; what was replayed or discarded is listed no more.":
        "`orders given-up list`로 확인하세요. 다시 처리되거나 폐기된 것은 더 나오지 않습니다.",
    "Begin another one for what is left.": "남은 것은 새로 다시 처리하세요.",
    "Say in a sentence why: `--why` or `--reason`, or `reason` over HTTP.": "이유를 한 문장으로 적으세요(`--why`, `--reason`, HTTP에서는 `reason`).",
    "Correct the field that the message names, and send the form again.": "메시지에 나온 필드를 고친 뒤 다시 보내세요.",
    "Write a note of at most 2,000 characters, and send it again.": "2,000자 이내의 메모를 적어 다시 보내세요.",
    "Type the customer's id just as the page shows it.": "고객 ID를 화면에 나온 그대로 입력하세요.",
}  # fmt: skip
