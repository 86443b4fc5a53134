"""Memory against k, image size against k, and what takes the memory."""
