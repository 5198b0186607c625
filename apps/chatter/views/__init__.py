"""Threads, files and live notices in the browser."""
