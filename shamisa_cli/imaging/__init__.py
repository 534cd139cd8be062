"""Photos in and pictures out: decoding, resampling, crops, contact sheets."""
