# Words of the mails. A blank line begins a new paragraph. German stands in de.ftl under the same ids.
when = { $year }-{ $month }-{ $day } at { $time } UTC
not-you = If this was not you, you need not do anything: without this link nothing happens.
nothing-changed = If this was not you, you need not do anything: nothing was changed.
secure-yourself = If this was not you, set a new password now and sign out all other devices.
all-well = If it was you, you need not do anything.
look-at-security = Look at your security settings
set-password = Set a new password

verify-subject = Confirm your e-mail address
verify-text =
    Welcome, { $username }.

    Confirm that this address is yours, and your account is ready. The link works once, within 24 hours.
verify-button = Confirm the address
verify-closing = { not-you }

already_registered-subject = You have an account already
already_registered-text =
    Somebody, probably you, wanted to register with this address. It has an account already.

    Its name is { $username }. Sign in here: { $sign_in }
already_registered-button = { set-password }
already_registered-closing = { nothing-changed }

reset-subject = Set a new password
reset-text =
    Hello { $username },

    you asked for a new password. The link works once, within one hour. Setting a new password signs you out everywhere.
reset-button = { set-password }
reset-closing = { not-you }

compromised-subject = Your password must be changed
compromised-text =
    Hello { $username },

    your password is known to be in the wrong hands, so we did not sign you in with it. Set a new one, and use it nowhere else. The link works once, within one hour.
compromised-button = { set-password }
compromised-closing = If it was not you who tried to sign in, somebody else knows your password: change it now.

password_changed-subject = Your password was changed
password_changed-text =
    Hello { $username },

    the password of your account was changed on { $at }.

    Other devices were signed out.
password_changed-button = It was not me: set a new password
password_changed-closing = { all-well }

factor-totp = An authenticator app
factor-passkey = A passkey
factor-recovery_code = A set of recovery codes

factor_added-subject = A second factor was added
factor_added-text =
    Hello { $username },

    { $factor } was added to your account on { $at }. It is asked for at sign-in from now on.
factor_added-button = { look-at-security }
factor_added-closing = { secure-yourself }

passkey_saved-subject = Your browser saved a passkey
passkey_saved-text =
    Hello { $username },

    after your sign-in with a password on { $at }, your browser or password manager saved a passkey for your account. Next time it can sign you in without a password.

    Nothing else changes: your password works as before, and nobody asks for the passkey. You can remove it under Security.
passkey_saved-button = { look-at-security }
passkey_saved-closing = { secure-yourself }

factor_removed-subject = A second factor was removed
factor_removed-text =
    Hello { $username },

    { $factor } was removed from your account on { $at }.
factor_removed-button = { look-at-security }
factor_removed-closing = { secure-yourself }

recovery_code_used-subject = A recovery code was used
recovery_code_used-text =
    Hello { $username },

    one of your recovery codes was used on { $at }; { $remaining } are left.

    If few are left, make new ones: the old ones end with that.
recovery_code_used-button = { look-at-security }
recovery_code_used-closing = { secure-yourself }

codes_stopped-subject = Codes for your account are stopped
codes_stopped-text =
    Hello { $username },

    somebody who knows your password typed too many wrong codes, the last one on { $at }. Such codes are not looked at any more on devices that are new to your account. Nobody got in.

    If it was you, you still get in: on a device that you have used before, with a passkey, with a recovery code, or with a code that the sign-in page mails to you (not if your password was last set by a mailed link). Then set your authenticator app up anew under Security ({ $security }); with that everything works as before.
codes_stopped-button = Sign in
codes_stopped-closing = If it was not you, somebody knows your password: set a new one now, and use it nowhere else.

account_locked-subject = Your account is locked
account_locked-text =
    Hello { $username },

    in one of the sessions of your account too many wrong passwords were typed, the last one on { $at }. So that nobody can do harm from there, nothing can be opened or changed with the account for now.

    Set a new password: that ends every session, and with it the lock.
account_locked-button = Set a new password
account_locked-closing = If it was not you, somebody else was in that session; a new password puts them out.

factor_code-subject = Your code for signing in
factor_code-text =
    Hello { $username },

    this code stands in for your second factor once, within one hour, beside your password:

    { $code }

    Type it where you are signing in. Then set your authenticator app up anew.
factor_code-closing = If you are not signing in now, somebody knows your password: give this code to nobody, and set a new password.

api_key_created-subject = An API key was made
api_key_created-text =
    Hello { $username },

    a key for programs was made for your account on { $at }. It begins with { $hint }.
api_key_created-button = Look at your keys
api_key_created-closing = { secure-yourself }

email_change-subject = Confirm your new e-mail address
email_change-text =
    Hello { $username },

    confirm that this address is yours, and it becomes the address of your account. The link works once, within one hour.
email_change-button = Confirm the address
email_change-closing = { not-you }

address_taken-subject = You have an account already
address_taken-text =
    Somebody wanted this address for another account. It has an account already, so nothing was changed.

    Sign in here: { $sign_in }
address_taken-button = { set-password }
address_taken-closing = { nothing-changed }

email_change_asked-subject = Another e-mail address was asked for
email_change_asked-text =
    Hello { $username },

    on { $at } somebody who is signed in to your account asked for another e-mail address. Until it is confirmed there, this one stays.
email_change_asked-button = It was not me: set a new password
email_change_asked-closing = { all-well }

email_changed-subject = Your e-mail address was changed
email_changed-text =
    Hello { $username },

    since { $at } another address belongs to your account, and this one does not any more.
email_changed-button = Sign in or set a new password
email_changed-closing = If this was not you, ask the operator of this service for help at once: this message proves that the address was yours.

refresh_reused-subject = We signed one of your devices out
refresh_reused-text =
    Hello { $username },

    on { $at } a sign-in ticket of one of your devices was used a second time. Two devices with the same ticket mean that it was copied, so we signed both out.
refresh_reused-button = Sign in again
refresh_reused-closing = If this happens again, check the device for malware and change your password.

confirm_sign_in-subject = Is it you who wants to sign in?
confirm_sign_in-text =
    Hello { $username }, somebody gave your right password, and we did not let them in yet.

    { $facts }

    { $why }

    If it is you, open the page, say so, and sign in again within 15 minutes.
confirm_sign_in-button = Answer
confirm_sign_in-closing = If it is not you, say so on that page: somebody knows your password, and it must be changed.

new_sign_in-subject = A new sign-in to your account
new_sign_in-text =
    Hello { $username }, somebody signed in to your account.

    { $facts }

    { $why }
new_sign_in-button = It was not me
new_sign_in-closing = If it was you, you need not do anything. If not, the button signs everybody out and lets you set a new password.

sign_in_denied-subject = We kept somebody out of your account
sign_in_denied-text =
    Hello { $username }, somebody gave your right password, and we did not let them in.

    { $facts }

    { $why }

    Somebody else probably knows your password, so set a new one. If it was you, try again from a device and a network that you have used before.
sign_in_denied-button = { set-password }
sign_in_denied-closing = Use the new password nowhere else.

fact-when = It was on { $at }
fact-address = , from the network address { $address }
fact-country = { " " }(country { $country })
fact-agent = , with the program "{ $agent }"
why = We write because it was { $reasons }.

reason-new-place = from a place you have not signed in from before
reason-new-device = from a device or browser you have not used before
reason-unusual-hour = at an hour that is unusual for you
reason-bad-network = through a network that hides where it is, or is known for attacks
reason-impossible-travel = too far from your last sign-in for the time between them
reason-recent-failures = after several failed attempts
reason-breached-password = with a password that is in a list of stolen passwords
reason-network-habit = from a network that you seldom use
reason-address-habit = from a new address where yours seldom changes
reason-device-habit = with a device or version that you seldom use
reason-combination = with an unusual combination of network and device
reason-round-trip-time = over a connection that is unlike your usual one
reason-lost-cookie = with a device like yours, but without the mark that we left on yours
reason-hidden-network = through a network that hides where it is
reason-cold-start = the first one, with no earlier ones to compare it with

break_glass-subject = An administrator opened something private of yours
break_glass-text =
    Hello { $username },

    the administrator { $administrator } opened { $resource }, which is yours and private, and can look at it until { $at }.

    They gave this reason: { $reason }
break_glass-button = Sign in
break_glass-closing = This is on record. If you do not understand why, ask the people who run this service.

offer-subject = Somebody wants to share something with you
offer-text =
    Hello { $username },

    { $by } offers to share { $resource } with you{ $until }.
offer-until = , until { $at }
offer-button = Look at the offer
offer-closing = Nothing is shared unless you accept. If you do not know them, you need not do anything.

account_closed-subject = Your account is closed and will be erased
account_closed-text =
    Hello { $username },

    your account was closed from a session that had just been confirmed with its factors. You are signed out everywhere, and nobody can sign in.

    On { $at } everything that we keep of you will be erased. Nobody can bring it back after that. Until then this link opens the account again:
account_closed-button = Keep my account
account_closed-closing = If this was not you, open the account again, set a new password and look at its factors.
