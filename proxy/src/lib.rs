//! The production reverse proxy that runs core.
