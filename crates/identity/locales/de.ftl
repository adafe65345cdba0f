# Deutsche Wörter der Nachrichten; die englischen stehen unter denselben Namen in en.ftl. Eine Leerzeile beginnt einen Absatz.
when = { $day }.{ $month }.{ $year } um { $time } Uhr UTC
not-you = Wenn Sie das nicht waren, brauchen Sie nichts zu tun: Ohne diesen Link geschieht nichts.
nothing-changed = Wenn Sie das nicht waren, brauchen Sie nichts zu tun: Es wurde nichts geändert.
secure-yourself = Wenn Sie das nicht waren, setzen Sie jetzt ein neues Passwort und melden Sie alle anderen Geräte ab.
all-well = Wenn Sie das waren, brauchen Sie nichts zu tun.
look-at-security = Sicherheitseinstellungen ansehen
set-password = Neues Passwort setzen

verify-subject = Bestätigen Sie Ihre E-Mail-Adresse
verify-text =
    Willkommen, { $username }.

    Bestätigen Sie, dass diese Adresse Ihnen gehört, und Ihr Konto ist bereit. Der Link gilt einmal, 24 Stunden lang.
verify-button = Adresse bestätigen
verify-closing = { not-you }

already_registered-subject = Sie haben schon ein Konto
already_registered-text =
    Jemand, wahrscheinlich Sie, wollte mit dieser Adresse ein Konto anlegen. Sie hat schon eines.

    Es heißt { $username }. Hier melden Sie sich an: { $sign_in }
already_registered-button = { set-password }
already_registered-closing = { nothing-changed }

reset-subject = Setzen Sie ein neues Passwort
reset-text =
    Guten Tag, { $username },

    Sie haben um ein neues Passwort gebeten. Der Link gilt einmal, eine Stunde lang. Mit dem neuen Passwort werden Sie überall abgemeldet.
reset-button = { set-password }
reset-closing = { not-you }

compromised-subject = Ihr Passwort muss geändert werden
compromised-text =
    Guten Tag, { $username },

    Ihr Passwort ist in falsche Hände geraten, deshalb haben wir Sie damit nicht angemeldet. Setzen Sie ein neues, und benutzen Sie es nirgends sonst. Der Link gilt einmal, eine Stunde lang.
compromised-button = { set-password }
compromised-closing = Wenn nicht Sie sich anmelden wollten, kennt jemand anders Ihr Passwort: Ändern Sie es jetzt.

password_changed-subject = Ihr Passwort wurde geändert
password_changed-text =
    Guten Tag, { $username },

    das Passwort Ihres Kontos wurde am { $at } geändert.

    Andere Geräte wurden abgemeldet.
password_changed-button = Das war ich nicht: neues Passwort setzen
password_changed-closing = { all-well }

factor-totp = Eine Authenticator-App
factor-passkey = Ein Passkey
factor-recovery_code = Ein Satz Wiederherstellungscodes

factor_added-subject = Ein zweiter Faktor wurde hinzugefügt
factor_added-text =
    Guten Tag, { $username },

    zu Ihrem Konto kam am { $at } hinzu: { $factor }. Von jetzt an wird bei der Anmeldung danach gefragt.
factor_added-button = { look-at-security }
factor_added-closing = { secure-yourself }

passkey_saved-subject = Ihr Browser hat einen Passkey gespeichert
passkey_saved-text =
    Guten Tag, { $username },

    nach Ihrer Anmeldung mit dem Passwort am { $at } hat Ihr Browser oder Passwort-Manager einen Passkey für Ihr Konto gespeichert. Nächstes Mal kann er Sie ohne Passwort anmelden.

    Sonst ändert sich nichts: Ihr Passwort gilt wie bisher, und niemand fragt nach dem Passkey. Unter Sicherheit können Sie ihn entfernen.
passkey_saved-button = { look-at-security }
passkey_saved-closing = { secure-yourself }

factor_removed-subject = Ein zweiter Faktor wurde entfernt
factor_removed-text =
    Guten Tag, { $username },

    von Ihrem Konto wurde am { $at } entfernt: { $factor }.
factor_removed-button = { look-at-security }
factor_removed-closing = { secure-yourself }

recovery_code_used-subject = Ein Wiederherstellungscode wurde benutzt
recovery_code_used-text =
    Guten Tag, { $username },

    einer Ihrer Wiederherstellungscodes wurde am { $at } benutzt; übrig: { $remaining }.

    Wenn nur noch wenige übrig sind, machen Sie neue: Die alten enden damit.
recovery_code_used-button = { look-at-security }
recovery_code_used-closing = { secure-yourself }

codes_stopped-subject = Codes für Ihr Konto sind angehalten
codes_stopped-text =
    Guten Tag, { $username },

    jemand, der Ihr Passwort kennt, hat zu viele falsche Codes eingegeben, den letzten am { $at }. Auf Geräten, die Ihr Konto nicht kennt, werden solche Codes nicht mehr angesehen. Niemand ist hineingekommen.

    Waren Sie es selbst, kommen Sie trotzdem hinein: auf einem Gerät, das Sie schon benutzt haben, mit einem Passkey, mit einem Wiederherstellungscode oder mit einem Code, den Ihnen die Anmeldeseite schickt (nicht, wenn Ihr Passwort zuletzt über einen zugeschickten Link gesetzt wurde). Richten Sie danach Ihre Authenticator-App unter Sicherheit ({ $security }) neu ein; damit ist alles wie vorher.
codes_stopped-button = Anmelden
codes_stopped-closing = Waren Sie es nicht, kennt jemand Ihr Passwort: Setzen Sie jetzt ein neues, und benutzen Sie es nirgends sonst.

account_locked-subject = Ihr Konto ist gesperrt
account_locked-text =
    Guten Tag, { $username },

    in einer der Sitzungen Ihres Kontos wurden zu viele falsche Passwörter eingegeben, das letzte am { $at }. Damit niemand von dort Schaden anrichtet, lässt sich mit dem Konto vorerst nichts öffnen oder ändern.

    Setzen Sie ein neues Passwort: Das beendet alle Sitzungen und damit die Sperre.
account_locked-button = Neues Passwort setzen
account_locked-closing = Waren Sie es nicht, saß jemand anderes in dieser Sitzung; ein neues Passwort setzt ihn vor die Tür.

factor_code-subject = Ihr Code zum Anmelden
factor_code-text =
    Guten Tag, { $username },

    dieser Code ersetzt neben Ihrem Passwort einmal Ihren zweiten Faktor, eine Stunde lang:

    { $code }

    Geben Sie ihn dort ein, wo Sie sich gerade anmelden. Richten Sie danach Ihre Authenticator-App neu ein.
factor_code-closing = Wenn Sie sich gerade nicht anmelden, kennt jemand Ihr Passwort: Geben Sie diesen Code niemandem, und setzen Sie ein neues Passwort.

api_key_created-subject = Ein API-Schlüssel wurde angelegt
api_key_created-text =
    Guten Tag, { $username },

    für Ihr Konto wurde am { $at } ein Schlüssel für Programme angelegt. Er beginnt mit { $hint }.
api_key_created-button = Schlüssel ansehen
api_key_created-closing = { secure-yourself }

email_change-subject = Bestätigen Sie Ihre neue E-Mail-Adresse
email_change-text =
    Guten Tag, { $username },

    bestätigen Sie, dass diese Adresse Ihnen gehört, und sie wird die Adresse Ihres Kontos. Der Link gilt einmal, eine Stunde lang.
email_change-button = Adresse bestätigen
email_change-closing = { not-you }

address_taken-subject = Sie haben schon ein Konto
address_taken-text =
    Jemand wollte diese Adresse für ein anderes Konto. Sie hat schon eines, deshalb wurde nichts geändert.

    Hier melden Sie sich an: { $sign_in }
address_taken-button = { set-password }
address_taken-closing = { nothing-changed }

email_change_asked-subject = Eine andere E-Mail-Adresse wurde gewünscht
email_change_asked-text =
    Guten Tag, { $username },

    am { $at } hat jemand, der in Ihrem Konto angemeldet ist, um eine andere E-Mail-Adresse gebeten. Bis sie dort bestätigt wird, bleibt diese.
email_change_asked-button = Das war ich nicht: neues Passwort setzen
email_change_asked-closing = { all-well }

email_changed-subject = Ihre E-Mail-Adresse wurde geändert
email_changed-text =
    Guten Tag, { $username },

    seit dem { $at } gehört eine andere Adresse zu Ihrem Konto und diese nicht mehr.
email_changed-button = Anmelden oder neues Passwort setzen
email_changed-closing = Wenn Sie das nicht waren, wenden Sie sich sofort an den Betreiber dieses Dienstes: Diese Nachricht beweist, dass die Adresse Ihre war.

refresh_reused-subject = Wir haben eines Ihrer Geräte abgemeldet
refresh_reused-text =
    Guten Tag, { $username },

    am { $at } wurde ein Anmeldezettel eines Ihrer Geräte ein zweites Mal benutzt. Zwei Geräte mit demselben Zettel heißt, dass er kopiert wurde; deshalb haben wir beide abgemeldet.
refresh_reused-button = Wieder anmelden
refresh_reused-closing = Geschieht das wieder, prüfen Sie das Gerät auf Schadprogramme und ändern Sie Ihr Passwort.

confirm_sign_in-subject = Möchten Sie sich gerade anmelden?
confirm_sign_in-text =
    Guten Tag, { $username }, jemand hat Ihr richtiges Passwort eingegeben, und wir haben ihn noch nicht hereingelassen.

    { $facts }

    { $why }

    Sind Sie es, öffnen Sie die Seite, sagen Sie es dort, und melden Sie sich innerhalb von 15 Minuten noch einmal an.
confirm_sign_in-button = Antworten
confirm_sign_in-closing = Sind Sie es nicht, sagen Sie es auf dieser Seite: Jemand kennt Ihr Passwort, und es muss geändert werden.

new_sign_in-subject = Eine neue Anmeldung in Ihrem Konto
new_sign_in-text =
    Guten Tag, { $username }, jemand hat sich in Ihrem Konto angemeldet.

    { $facts }

    { $why }
new_sign_in-button = Das war ich nicht
new_sign_in-closing = Waren Sie es, brauchen Sie nichts zu tun. Wenn nicht, meldet der Knopf alle ab und lässt Sie ein neues Passwort setzen.

sign_in_denied-subject = Wir haben jemanden nicht in Ihr Konto gelassen
sign_in_denied-text =
    Guten Tag, { $username }, jemand hat Ihr richtiges Passwort eingegeben, und wir haben ihn nicht hereingelassen.

    { $facts }

    { $why }

    Wahrscheinlich kennt jemand anders Ihr Passwort; setzen Sie ein neues. Waren Sie es, versuchen Sie es von einem Gerät und aus einem Netz, die Sie schon benutzt haben.
sign_in_denied-button = { set-password }
sign_in_denied-closing = Benutzen Sie das neue Passwort nirgends sonst.

fact-when = Es war am { $at }
fact-address = , von der Netzadresse { $address }
fact-country = { " " }(Land { $country })
fact-agent = , mit dem Programm „{ $agent }“
why = Wir schreiben Ihnen deshalb: { $reasons }.

reason-new-place = von einem Ort, von dem Sie sich noch nie angemeldet haben
reason-new-device = mit einem Gerät oder Browser, die Sie noch nicht benutzt haben
reason-unusual-hour = zu einer für Sie ungewöhnlichen Zeit
reason-bad-network = durch ein Netz, das verbirgt, wo es ist, oder für Angriffe bekannt ist
reason-impossible-travel = zu weit weg von Ihrer letzten Anmeldung für die Zeit dazwischen
reason-recent-failures = nach mehreren falschen Versuchen
reason-breached-password = mit einem Passwort, das auf einer Liste gestohlener Passwörter steht
reason-network-habit = aus einem Netz, das Sie selten benutzen
reason-address-habit = von einer neuen Adresse, obwohl Ihre selten wechselt
reason-device-habit = mit einem Gerät oder einer Version, die Sie selten benutzen
reason-combination = mit einer ungewöhnlichen Verbindung von Netz und Gerät
reason-round-trip-time = über eine Leitung, die anders ist als Ihre übliche
reason-lost-cookie = mit einem Gerät wie Ihrem, aber ohne das Merkmal, das wir auf Ihrem gelassen haben
reason-hidden-network = durch ein Netz, das verbirgt, wo es ist
reason-cold-start = die erste Anmeldung, mit der sich noch nichts vergleichen lässt

break_glass-subject = Ein Betreiber hat etwas Privates von Ihnen geöffnet
break_glass-text =
    Guten Tag, { $username },

    { $administrator } (vom Betrieb dieses Dienstes) hat { $resource } geöffnet, was Ihnen gehört und privat ist, und kann es bis zum { $at } ansehen.

    Als Grund wurde angegeben: { $reason }
break_glass-button = Anmelden
break_glass-closing = Das ist aufgezeichnet. Wenn Sie den Grund nicht verstehen, fragen Sie die Leute, die diesen Dienst betreiben.

offer-subject = Jemand möchte etwas mit Ihnen teilen
offer-text =
    Guten Tag { $username },

    { $by } bietet an, { $resource } mit Ihnen zu teilen{ $until }.
offer-until = , bis zum { $at }
offer-button = Das Angebot ansehen
offer-closing = Ohne Ihr Ja wird nichts geteilt. Kennen Sie den Menschen nicht, brauchen Sie nichts zu tun.

account_closed-subject = Ihr Konto ist geschlossen und wird gelöscht
account_closed-text =
    Guten Tag, { $username },

    Ihr Konto wurde in einer Sitzung geschlossen, die eben erst mit seinen Faktoren bestätigt worden war. Sie sind überall abgemeldet, und niemand kann sich anmelden.

    Am { $at } wird alles gelöscht, was wir über Sie aufbewahren. Danach kann es niemand zurückbringen. Bis dahin öffnet dieser Link das Konto wieder:
account_closed-button = Mein Konto behalten
account_closed-closing = Wenn Sie das nicht waren, öffnen Sie das Konto wieder, setzen Sie ein neues Passwort und sehen Sie nach seinen Faktoren.
