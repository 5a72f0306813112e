"""Tests that mirror the rooms; what several of them share stands beside this file."""
