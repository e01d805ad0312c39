"""What watches the decisions."""
