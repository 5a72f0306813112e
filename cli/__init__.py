"""The `orders` command: every process, every look inside, every mend.

main       the command line; errors become one sentence and an exit code
options    what every command takes: --data, --json
opening    finds the servers, or starts them, and opens what a command needs
running    worker, beat, up, migrate
ingest     events from files into the journal
looking    show, list, account, verify
mending    dead letters, parked events, replay
doctor     settings with their sources, and what is wrong
bench      how fast, against what one would write otherwise
demo       whole lives of orders, with everything that goes wrong; lives, figures and display are its parts
processes  workers, beat and simulators: started, watched, restarted, stopped
"""
