"""The demo: real sample data in a fresh service, written through the services that people use."""
