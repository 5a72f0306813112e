"""What is done to the outside: refunds, payment look-ups, tracking and webhooks. Each claims, asks, settles."""
