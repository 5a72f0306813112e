"""Carriers, a file and a `PROVIDER` each. What each must be able to do stands in `providers.base`.

poll_schedule   how long to wait before a parcel is asked for again
simulated       carriers by URL: the demo's, and services of one's own
easypost        webhooks of EasyPost's trackers
"""
