//! What accounts are sent about their purchases: webhooks to servers, pushes to devices.

mod pushes;
mod webhooks;
