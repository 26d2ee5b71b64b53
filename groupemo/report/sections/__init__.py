"""The report's sections: each module makes plain values of a grid, or None where it has no say."""
