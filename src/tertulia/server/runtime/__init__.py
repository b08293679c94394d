"""The process below the application: uvicorn's protocols, the garbage collector, and shutdown."""
