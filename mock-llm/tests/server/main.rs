//! A backend behind HTTP, under a clock that moves only when nothing else can; and over sockets, where sockets matter.

mod client;
mod faults;
mod leaving;
mod limits;
mod model;
mod orders;
mod quota;
mod same;
mod shapes;
mod sockets;
mod timing;
#[path = "../model/world.rs"]
#[expect(dead_code, reason = "the model's own tests need more of it")]
mod world;
