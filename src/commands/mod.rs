//! One file a command.

pub(crate) mod balancers;
pub(crate) mod check;
pub(crate) mod embedded;
pub(crate) mod files;
pub(crate) mod key;
pub(crate) mod limiters;
pub(crate) mod lineup;
pub(crate) mod load;
pub(crate) mod mock;
pub(crate) mod new;
pub(crate) mod out;
pub(crate) mod report;
pub(crate) mod scenarios;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod stop;
pub(crate) mod trace;
