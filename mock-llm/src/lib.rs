//! Backends that behave like LLM services, without I/O.
