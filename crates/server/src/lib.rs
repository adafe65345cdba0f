//! The `fortissimo` program: configuration, wiring, workers, commands.
