"""Scoring past one machine: shards in, a ledger, and one Parquet file a shard out."""
