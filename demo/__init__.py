"""The demo, `orders demo`: orders, duplicates, disorder and a killed worker, played on the real thing.

scenarios       the script: orders' whole lives, seeded
environment     servers, API, workers, a carrier and a payment provider that err
driver          the play, with the bad moments in the middle of it
http_sender     its acts as API calls and signed webhooks
progress_query  its orders so far, by one statement
progress_view   its display: a live picture, or plain lines
final_checks    its questions at the end: account, verify, states, refunds
"""
