"""The Hugging Face Hub: names, its cache, downloads, uploads, errors.

It knows which files make a model, and nothing of what is in them.
"""
