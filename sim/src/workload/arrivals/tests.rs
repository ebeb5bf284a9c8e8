//! Laws of the processes.
