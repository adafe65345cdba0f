//! Listeners, TLS, upstream pool, proxying, WebSocket.
