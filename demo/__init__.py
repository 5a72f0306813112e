"""`orders demo`: orders, duplicates, disorder and a killed worker, played on the real thing."""
