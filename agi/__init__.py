"""What answers and speaks: the FastAGI server, the channel, the manners of a conversation, and a module per flow."""
