"""Telemetry of a process: its figures, its log, its traces. It imports nothing of ours but how text is made harmless.

meters    figures that a process counts: declared here, counted where it happens, nothing until it is started
exposure  the same for Prometheus: gathered over a process's children, served on a port of its own
log       one structured log for every process: JSON, or lines for a terminal
traces    spans from a request to what came of it; off unless OpenTelemetry's variables ask for them
harmless  text that neither a terminal nor a reader of logs obeys
"""
