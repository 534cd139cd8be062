"""The linear regressor on frozen features, with its range, direction and measured figures."""
