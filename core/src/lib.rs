//! Every decision of tollgate, with no clock, no I/O, no entropy and no tasks.
