"""The process that runs the application: uvicorn's protocols, the garbage collector, and shutdown."""
