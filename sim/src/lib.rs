//! The discrete-event simulator that runs core against modelled backends.
