"""A provider that writes a line for each push and sends nothing: the example of docs/adding-a-provider.md."""
