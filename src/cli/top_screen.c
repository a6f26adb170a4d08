/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list in a terminal, by ncurses(3X). The terminal is given back however it ends,
 * short of SIGKILL: by q, a signal, or the end of the input.
 */
#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/sandboxes.h"
#include "cli/top.h"

enum { HEAD_LINES = 4, ESCAPE = 27, OUTPUT_MAX = 1 << 20 };

enum mode { LIST, ASK, SHOW, HELP };

struct view {
	struct top *top;
	int all;
	enum mode mode;
	char selected[SANDBOX_ID_LEN + 1]; /* "": none */
	size_t first;			   /* row, or line of SHOW, at the top of the screen */
	enum control_type request;	   /* ASK: what is asked about */
	char message[320];		   /* until the next key */
	struct buf shown;		   /* SHOW */
	bool ended;
};

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
}

/* So curses, which takes only what is by default, leaves them to us. */
static void catch_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction a = { .sa_handler = on_signal };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		sigaction(ends[i], &a, NULL);
}

static size_t list_lines(void)
{
	return LINES > HEAD_LINES + 1 ? (size_t)(LINES - HEAD_LINES - 1) : 1;
}

/* @text as far as the line has room. */
static void put_line(int line, attr_t attributes, const char *text)
{
	attrset(attributes);
	move(line, 0);
	clrtoeol();
	if (text)
		addnstr(text, (int)strlen(text));
	/* A title reaches to the edge. */
	if (attributes & A_REVERSE)
		for (int x = getcurx(stdscr); x < COLS && getcury(stdscr) == line; x++)
			if (addch(' ') == ERR || x == COLS - 1)
				break;
	attrset(A_NORMAL);
}

/* The lines of @b from number @first on, from @line of the screen up to @end. */
static void put_lines(const struct buf *b, size_t first, int line, int end)
{
	const char *at = b->data ? b->data : "";
	char text[1024];

	for (; first > 0 && (at = strchr(at, '\n')); first--)
		at++;
	for (; line < end; line++) {
		const char *stop = at ? strchr(at, '\n') : NULL;

		if (!stop || *at == '\0') {
			put_line(line, A_NORMAL, NULL);
			continue;
		}
		snprintf(text, sizeof(text), "%.*s", (int)MIN(stop - at, (long)sizeof(text) - 1),
			 at);
		put_line(line, A_NORMAL, text);
		at = stop + 1;
	}
}

/* How many bytes of @text stand in @width columns: up to a blank if there is one. */
static size_t fitting(const char *text, size_t len, size_t width)
{
	size_t n = 0, column = 0, blank = 0;

	for (; n < len; n++) {
		column += (text[n] & 0xc0) != 0x80;
		if (column > width)
			return blank > width / 2 ? blank : n;
		if (text[n] == ' ')
			blank = n + 1;
	}
	return n;
}

/* Long lines are broken, not cut: what was denied is to be read whole. */
static void fold(struct buf *to, const struct buf *from)
{
	const size_t width = COLS > 40 ? (size_t)COLS - 1 : 40, indent = 13;
	const char *at = from->data ? from->data : "", *end;

	for (; (end = strchr(at, '\n')); at = end + 1) {
		size_t n = fitting(at, (size_t)(end - at), width);

		for (buf_add(to, at, n); at + n < end; buf_add(to, at, n)) {
			at += n;
			n = fitting(at, (size_t)(end - at), width - indent);
			buf_printf(to, "\n%*s", (int)indent, "");
		}
		buf_puts(to, "\n");
	}
}

static attr_t row_attributes(const struct top_row *row)
{
	attr_t a = A_NORMAL;

	if (has_colors() && row->denials > 0)
		a = COLOR_PAIR(1);
	if (!row->answered || row->phase == SANDBOX_PAUSED)
		a |= A_DIM;
	return a;
}

static void draw_list(struct view *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT(OUTPUT_MAX);
	const struct top *t = v->top;
	size_t lines = list_lines();
	long at = top_find(t, v->selected);

	/* The one that was selected has gone: the one in its place. */
	if (at < 0 && t->now.count) {
		at = (long)MIN(v->first, t->now.count - 1);
		str_copy(v->selected, sizeof(v->selected), t->rows[at].id);
	}
	if (at >= 0 && (size_t)at < v->first)
		v->first = (size_t)at;
	if (at >= 0 && (size_t)at >= v->first + lines)
		v->first = (size_t)at - lines + 1;
	v->first = t->now.count > lines ? MIN(v->first, t->now.count - lines) : 0;
	top_put_summary(&b, t);
	put_lines(&b, 0, 0, 2);
	put_line(2, A_NORMAL, NULL);
	buf_free(&b);
	b = BUF_INIT(OUTPUT_MAX);
	top_put_titles(&b, t, (size_t)COLS);
	put_line(3, A_REVERSE, b.data);
	for (size_t i = 0; i < lines; i++) {
		size_t n = v->first + i;

		buf_free(&b);
		b = BUF_INIT(OUTPUT_MAX);
		if (n < t->now.count)
			top_put_row(&b, t, &t->rows[n], (size_t)COLS);
		else if (n == 0)
			buf_puts(&b, "No sandbox runs. purple run -- COMMAND starts one.");
		put_line(HEAD_LINES + (int)i,
			 n >= t->now.count ? A_DIM
			 : (long)n == at   ? A_REVERSE
					   : row_attributes(&t->rows[n]),
			 b.data);
	}
}

static const char *const help[] = {
	"keys",
	"",
	"  up, down, PgUp, PgDn, Home, End   select",
	"  Enter     show one: what it runs, what it has done, what was denied",
	"  p         pause it, or let it go on",
	"  s         stop it in order (asks)",
	"  k         kill it (asks)",
	"",
	"  c m n d i t a   order by cpu, memory, network, denials, pids, time, name",
	"  r         the other way round",
	"  Space     look now",
	"  q         leave",
	"",
	"In colour: something was denied there.",
	"silent: its supervisor does not answer; it is suspended, or very busy.",
};

static void draw_foot(struct view *v)
{
	char line[512];
	long at = top_find(v->top, v->selected);
	const char *name = at >= 0 ? v->top->rows[at].name : "";

	if (v->mode == ASK)
		snprintf(line, sizeof(line), "%s %s? y: yes, any other key: no",
			 v->request == CONTROL_STOP ? "Stop" : "Kill", name);
	else if (v->message[0])
		snprintf(line, sizeof(line), "%s", v->message);
	else if (v->mode == LIST)
		snprintf(
			line, sizeof(line),
			"Enter show  p pause  s stop  k kill  cmndita order  r reverse  h help  q quit");
	else
		snprintf(line, sizeof(line), "up, down: scroll   q: back");
	put_line(LINES - 1, v->mode == ASK ? A_BOLD : A_DIM, line);
}

static void draw(struct view *v)
{
	erase();
	if (v->mode == SHOW) {
		_cleanup_buf_ struct buf folded = BUF_INIT(OUTPUT_MAX);
		size_t lines = 0, page = LINES > 1 ? (size_t)LINES - 1 : 1;

		fold(&folded, &v->shown);
		for (size_t i = 0; i < folded.len; i++)
			lines += folded.data[i] == '\n';
		v->first = MIN(v->first, lines > page ? lines - page : 0);
		put_lines(&folded, v->first, 0, LINES - 1);
	} else if (v->mode == HELP) {
		for (size_t i = 0; i < ARRAY_SIZE(help) && (int)i < LINES - 1; i++)
			put_line((int)i, A_NORMAL, help[i]);
	} else {
		draw_list(v);
	}
	draw_foot(v);
	refresh();
}

static void show(struct view *v)
{
	buf_free(&v->shown);
	v->shown = BUF_INIT(OUTPUT_MAX);
	top_show(&v->shown, v->top, v->selected);
}

static void look(struct view *v)
{
	int r = top_look(v->top, v->all);

	if (r < 0)
		snprintf(v->message, sizeof(v->message), "the state cannot be read: %s",
			 strerror(-r));
	if (v->mode == SHOW)
		show(v);
}

/* One request to the selected one, whose answer is OK. */
static void ask(struct view *v, enum control_type request, uint32_t value, const char *done)
{
	_cleanup_sandbox_ struct found_sandbox f = FOUND_SANDBOX_INIT;
	static struct control_message answer;
	long at = top_find(v->top, v->selected);
	struct err e = { 0 };
	int fd = -1, r;

	if (at < 0)
		return;
	r = sandbox_find(&f, v->top->rows[at].name, &e);
	/* Another may have its name by now. */
	if (r == 0 && !streq(f.sandbox.state.id, v->selected))
		r = err_set(&e, EPROTO, "state", "it has ended");
	if (r == 0)
		r = fd = sandbox_talk(&f, request == CONTROL_RESUME, &e);
	if (r >= 0)
		r = sandbox_ask(fd, f.sandbox.state.name, request, value, CONTROL_OK, &answer, &e);
	if (fd >= 0)
		close(fd);
	if (r < 0)
		snprintf(v->message, sizeof(v->message), "%s: %.200s", f.sandbox.state.name,
			 e.message);
	else
		snprintf(v->message, sizeof(v->message), "%s: %s", f.sandbox.state.name, done);
	look(v);
}

static void move_to(struct view *v, long row)
{
	size_t count = v->top->now.count;

	if (!count)
		return;
	row = row < 0 ? 0 : MIN(row, (long)count - 1);
	str_copy(v->selected, sizeof(v->selected), v->top->rows[row].id);
}

static bool move_key(struct view *v, int key)
{
	long at = top_find(v->top, v->selected), page = (long)list_lines();
	long lines = (long)v->top->now.count;
	static const struct {
		int key, by;
		bool page;
	} steps[] = { { KEY_UP, -1, false },
		      { KEY_DOWN, 1, false },
		      { KEY_PPAGE, -1, true },
		      { KEY_NPAGE, 1, true } };

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		long by = steps[i].by * (steps[i].page ? page : 1);

		if (key != steps[i].key)
			continue;
		if (v->mode == LIST)
			move_to(v, at + by);
		else
			v->first = by < 0 && v->first < (size_t)-by ? 0 : v->first + (size_t)by;
		return true;
	}
	if (v->mode != LIST || (key != KEY_HOME && key != KEY_END))
		return false;
	move_to(v, key == KEY_HOME ? 0 : lines - 1);
	return true;
}

static void pause_or_resume(struct view *v)
{
	long at = top_find(v->top, v->selected);

	if (at < 0)
		return;
	if (v->top->rows[at].phase == SANDBOX_PAUSED)
		ask(v, CONTROL_RESUME, 0, "it goes on");
	else
		ask(v, CONTROL_PAUSE, 0, "paused");
}

static void list_key(struct view *v, int key)
{
	static const char orders[TOP_KEYS + 1] = "cmndita";
	const char *order = key > 0 && key < 128 ? strchr(orders, key) : NULL;

	if (move_key(v, key))
		return;
	if (order) {
		v->top->key = (enum top_key)(order - orders);
		v->top->reverse = v->top->key == TOP_NAME ? false : v->top->reverse;
		top_sort(v->top);
		v->first = 0;
		return;
	}
	switch (key) {
	case 'q':
		v->ended = true;
		break;
	case 'r':
		v->top->reverse = !v->top->reverse;
		top_sort(v->top);
		break;
	case 'p':
		pause_or_resume(v);
		break;
	case 's':
	case 'k':
		if (top_find(v->top, v->selected) < 0)
			break;
		v->request = key == 's' ? CONTROL_STOP : CONTROL_KILL;
		v->mode = ASK;
		break;
	case 'h':
	case '?':
		v->mode = HELP;
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
		if (top_find(v->top, v->selected) < 0)
			break;
		v->mode = SHOW;
		v->first = 0;
		show(v);
		break;
	case ' ':
		look(v);
		break;
	default:
		break;
	}
}

static void on_key(struct view *v, int key)
{
	if (key == KEY_RESIZE)
		return; /* it is drawn anew */
	v->message[0] = '\0';
	if (v->mode == LIST)
		return list_key(v, key);
	if (v->mode == ASK) {
		v->mode = LIST;
		if (key == 'y' || key == 'Y')
			ask(v, v->request,
			    v->request == CONTROL_STOP ? CONTROL_GRACE_POLICY : (uint32_t)SIGKILL,
			    v->request == CONTROL_STOP ? "told to stop" : "killed");
		return;
	}
	if (v->mode == SHOW && move_key(v, key))
		return;
	if (key == 'q' || key == ESCAPE || key == '\n' || key == '\r' || key == KEY_ENTER ||
	    v->mode == HELP) {
		v->mode = LIST;
		v->first = 0;
	}
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void loop(struct view *v, unsigned delay_ms)
{
	int64_t due = now_ms() + delay_ms;
	int key;

	while (!v->ended && !caught) {
		struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
		int64_t wait = due - now_ms();
		int n;

		draw(v);
		n = poll(&in, 1, wait > 0 ? (int)wait : 0);
		if (caught)
			return;
		if (n > 0 && !(in.revents & POLLIN))
			return; /* the terminal is gone */
		/* Also after a signal: that of a new size is a key. */
		while (!v->ended && (key = getch()) != ERR)
			on_key(v, key);
		if (now_ms() >= due) {
			look(v);
			due = now_ms() + delay_ms;
		}
	}
}

static int no_terminal(const char *what)
{
	struct err e = { 0 };

	err_set(&e, EPROTO, "top", "%s", what);
	err_remedy(&e, "purple top --batch prints text");
	return command_failed(&e);
}

int top_screen(struct top *t, int all, unsigned delay_ms)
{
	struct view v = { .top = t, .all = all, .mode = LIST, .shown = BUF_INIT(OUTPUT_MAX) };
	SCREEN *screen;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return no_terminal("standard input and output are no terminal");
	setlocale(LC_CTYPE, "");
	if (!streq(nl_langinfo(CODESET), "UTF-8"))
		setlocale(LC_CTYPE, "C.UTF-8");
	catch_signals();
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return no_terminal("TERM names no terminal that is known here");
	if (has_colors()) {
		start_color();
		use_default_colors();
		init_pair(1, COLOR_YELLOW, -1);
	}
	set_escdelay(50);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	look(&v);
	loop(&v, delay_ms);
	endwin();
	delscreen(screen);
	buf_free(&v.shown);
	if (!caught)
		return 0;
	signal(caught, SIG_DFL);
	raise(caught);
	return EXIT_SIGNAL_BASE + caught;
}
