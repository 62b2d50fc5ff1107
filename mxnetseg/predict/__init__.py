"""Prediction: pictures to label maps by a stated protocol, and the scores of a split."""
