/* Keeps listeners alive when open files run out (rule 6).
 *
 * C-core accepts until accept4 fails; with EMFILE it gives its listener up for good
 * (grpc-core-in-c.md 9). So this module defines accept4 for the whole process: the linker prefers
 * the program's own to libc's, for libraries too. A connection that comes when few descriptors are
 * left is told so in HTTP/2 (GOAWAY, ENHANCE_YOUR_CALM, "too many connections") and closed, and
 * what is open stays undisturbed. EMFILE itself, when files took the reserve, becomes EAGAIN, as
 * does every error that is not the listener's.
 *
 * Needed where C-core listens itself: peers' own port, and the clients' when the front door cannot
 * be used (door_way.h). The door asks the system itself and shares the limit and the words.
 *
 * Thread:  any. No state: the limit is asked for each time. HTTP threads get libc's own answers:
 *          http/ has a front that refuses in its own words, and the reserve is for it, too.
 * Limits:  ACCEPT_RESERVE descriptors, or a quarter of a small limit, are left for files, for HTTP
 *          and for connections that we open. ACCEPT_TURN refusals before the caller gets its thread
 * back.
 */
#ifndef NACRE_RPC_ACCEPT_GUARD_H
#define NACRE_RPC_ACCEPT_GUARD_H

#define ACCEPT_RESERVE 64
#define ACCEPT_TURN 256

/* How many descriptors accepted connections may use: those numbered below this. Also what makes the
 * linker take this file. */
int accept_guard_limit(void);

/* Say so to a connection and close it, as far as that goes without waiting. */
void accept_guard_refuse(int take_fd);

#endif
