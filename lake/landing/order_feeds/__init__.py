"""Orders that arrive while the day runs: a folder of files, a Kafka topic, a FIX drop copy. Enter at `feed.OrderFeed`.

A source reads and says how far it has read; the feed commits rows first and how far it has read after them, so that whatever is read
twice after a kill is known by its order and sequence number, and changes nothing.
"""
