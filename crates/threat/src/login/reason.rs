//! Why an assessment came out as it did.

use std::fmt;

/// Which part of the engine gave a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A fixed signal; its contribution is its weight.
    Fixed,
    /// The learned part; its contribution is a natural logarithm of a likelihood ratio (negative: like the owner).
    Learned,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident $name:literal $words:literal;)*) => {
        /// A reason's stable name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ReasonCode { $($(#[$doc])* $code,)* }

        impl ReasonCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The stable name, for events, metrics and translations.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// In words that the person understands, starting in lower case.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$code => $words,)* }
            }
        }
    };
}

codes! {
    /// The city (or country) was never seen with this person.
    NewPlace "new-place" "from a place you have not signed in from before";
    /// Neither cookie nor user agent were seen with this person.
    NewDevice "new-device" "from a device or browser you have not used before";
    /// This person does not sign in around this hour.
    UnusualHour "unusual-hour" "at an hour that is unusual for you";
    /// A network that hides people, a data centre, or one known for attacks.
    BadNetwork "bad-network" "through a network that hides where it is, or is known for attacks";
    /// Too far from the last sign-in for the time between.
    ImpossibleTravel "impossible-travel" "too far from your last sign-in for the time between them";
    /// Wrong passwords came before.
    RecentFailures "recent-failures" "after several failed attempts";
    /// The password is known to attackers.
    BreachedPassword "breached-password" "with a password that is in a list of stolen passwords";
    /// Where the connection comes from, against this person's habits.
    NetworkHabit "network-habit" "how this network fits your earlier sign-ins";
    /// A new address on a line whose address seldom changes (or the usual one).
    AddressHabit "address-habit" "how this address fits the lines that you use";
    /// The device, against this person's habits.
    DeviceHabit "device-habit" "how this device fits your earlier sign-ins";
    /// Network and device together, beyond what each says alone.
    Combination "combination" "this combination of network and device";
    /// The round-trip time, against this person's on the same network.
    RoundTrip "round-trip-time" "how long messages take on this connection";
    /// A device that used to show our cookie came without it.
    LostCookie "lost-cookie" "a known kind of device without the mark that we left on it";
    /// A network that hides people, against how often owners come through one.
    HiddenNetwork "hidden-network" "through a network that hides where it is";
    /// Nothing is known of this person yet.
    ColdStart "cold-start" "there were no earlier sign-ins to compare with";
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One reason and how much it counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason {
    /// What.
    pub code: ReasonCode,
    /// By which part.
    pub part: Part,
    /// How much, in the unit of its part.
    pub contribution: f32,
}
