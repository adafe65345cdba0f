//! The request pipeline without sockets: one function, every stage typed.
