"""The `orders` command: every process, every look inside, every mend.

main       the command line; errors become one sentence and an exit code
options    what every command takes: --data, --json
opening    finds the servers, or starts them, and opens what a command needs
processes  workers, beat and simulators: started, watched, restarted, stopped
"""
