"""How the scripted policy for MiniWoB++ reads a page and what it knows to do there."""
