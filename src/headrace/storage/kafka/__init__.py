"""Kafka as topics: read by offset, appended and delivered to by transactions."""
