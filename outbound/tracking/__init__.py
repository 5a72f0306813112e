"""Parcels followed at their carriers: each new scan becomes one event of its order.

polls        a round of polls of one carrier: claimed, asked outside any transaction, settled
claims       the parcels that are due, as many of them as the carrier's limits let through
settlement   what a poll told: new scans as events, and when the parcel is asked for again
pace         waits between two polls of a parcel, by its state, its silence, and the carrier's night
allowance    questions that a carrier's rate and monthly quota let through; arithmetic only
breaker      a carrier that is away is left alone, and tried one parcel at a time; arithmetic only
carriers     the row that all workers share of one carrier: its allowance, its breaker, its pause
unwatched    open parcels that nobody watches yet, looked for whenever settings change who is polled
trackers     our watches on tracking numbers: hurried, counted, listed, resumed
"""
