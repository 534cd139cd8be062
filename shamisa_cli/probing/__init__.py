"""From a frozen encoder to a head, and how good that is: datasets, splits, ridge, measures."""
