"""What a run shows of itself: numbers, charts, pictures and a page that holds them."""
