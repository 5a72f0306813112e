"""Carriers, a file and a `PROVIDER` each. What each must be able to do stands in `providers.base`.

poll_schedule            how long to wait before a parcel is asked for again
names                    carriers by the names that people give them, with aliases
routes                   who is polled for a parcel, by its carrier's name
scans                    ids and order of scans that have none
local_time               the UTC time of what a carrier tells in the local time of a place
karrio                   karrio: the setting of a shop's own accounts at carriers, and the provider
karrio_api               its connectors, asked one by one
karrio_answers           answers of single carriers, read beside karrio's own parsers
karrio_transport         the HTTP by which it asks: verified, and bounded in time and size
manual                   what staff, couriers and warehouses report of parcels that nobody polls
simulated                carriers by URL: the demo's, and services of one's own
easypost                 EasyPost: webhooks of its trackers, and the provider
easypost_api             its API: trackers made and asked for
tracker_delivery         tracker.delivery: its callbacks, and the provider
tracker_delivery_api     its API: parcels asked for, callbacks registered
tracker_delivery_events  what it tells of a parcel, and what we read out of it
"""
