"""Models between people: pulled from the Hub, pushed to it with a card, and listed."""
