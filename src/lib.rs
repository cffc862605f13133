pub mod aws;
pub mod clock;
pub mod config;
pub mod duration;
pub mod estate;
pub mod store;
pub mod verify;
