"""The Hugging Face Hub: names, its cache, transfers, and what can go wrong.

Of models it knows which files they are, and nothing of what is in them.
"""
