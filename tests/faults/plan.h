// What is to go wrong, and when: the rules of FAULTS_PLAN. Owns reading them, counting calls, and
// saying which rule a call meets; does none of it itself.
//
// Rules are parted by ';', their fields by ',', each KEY=VALUE:
//   call=KIND|KIND...  calls it looks at; default any
//   file=PATTERN       fnmatch on the path within the data directory ('*' spans '/'); default
//                      any. A rename is met by either of its names.
//   when=PATH          looks only while this file exists
//   nth=N              at the N-th call looked at (default 1); from=N: at the N-th and all later
//                      ones; chance=P: at each with probability P
//   times=N            at most so often
//   do=...             kill, kill-after, within (a part of a write, then kill), cut, cut-after
//                      (power cut), error (with error=NAME), short (with bytes=N), delay (with
//                      ms=N), wait (until the file of `when` is gone), lie (a sync that does
//                      nothing and says that it did), full (no room on the disk: whatever needs new
//                      blocks fails)
//   lose=all|some, piece=BYTES, keep=PATTERN   how a power cut loses: all that was not synced, or
//                      pieces of it by chance; what matches `keep` loses nothing
#pragma once
#include <fnmatch.h>
#include <strings.h>

#include "raw.h"

enum kind { OPEN, CREATE, READ, MAP, WRITE, SYNC, SYNCDIR, RANGE, RENAME, TRUNCATE, ALLOCATE,
            UNLINK, MKDIR, LINK, KINDS };
static const char* const kind_names[KINDS] = {
    "open", "create", "read", "map", "write", "sync", "syncdir", "range", "rename", "truncate",
    "allocate", "unlink", "mkdir", "link"};

enum action { KILL, KILL_AFTER, WITHIN, CUT, CUT_AFTER, ERROR, SHORT, DELAY, WAIT, LIE, FULL,
              ACTIONS };
static const char* const action_names[ACTIONS] = {"kill", "kill-after", "within", "cut",
                                                  "cut-after", "error", "short", "delay",
                                                  "wait", "lie", "full"};

struct rule {
  unsigned kinds;
  char* file;
  char* when;
  long nth, from, times, bytes, ms;
  double chance;
  enum action action;
  int error;
  bool lose_some;
  long piece;
  char* keep;
  long seen, fired;
};

// One call as the plan sees it. Paths are those within the data directory.
struct call {
  enum kind kind;
  const char* path;
  const char* to;
  long size;
};

enum { RULES_MOST = 32, MET_MOST = 8 };
static struct rule rules[RULES_MOST];
static int rule_count;
static pthread_mutex_t plan_lock = PTHREAD_MUTEX_INITIALIZER;
static long counts[KINDS];

static int error_of(const char* name) {
  static const struct { const char* name; int number; } known[] = {
      {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EACCES", EACCES}, {"EROFS", EROFS},
      {"EMFILE", EMFILE}, {"EINTR", EINTR}};
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
    if (strcmp(known[i].name, name) == 0) return known[i].number;
  give_up("FAULTS_PLAN: no such error: %s", name);
}

static unsigned kinds_of(char* names) {
  unsigned kinds = 0;
  char* rest = NULL;
  for (char* name = strtok_r(names, "|", &rest); name; name = strtok_r(NULL, "|", &rest)) {
    unsigned found = strcmp(name, "any") == 0 ? (1u << KINDS) - 1 : 0;
    for (int kind = 0; kind < KINDS; ++kind)
      if (strcmp(name, kind_names[kind]) == 0) found = 1u << kind;
    if (!found) give_up("FAULTS_PLAN: no such call: %s", name);
    kinds |= found;
  }
  return kinds;
}

static enum action action_of(const char* name) {
  for (int action = 0; action < ACTIONS; ++action)
    if (strcmp(name, action_names[action]) == 0) return (enum action)action;
  give_up("FAULTS_PLAN: no such thing to do: %s", name);
}

static long number_of(const char* text) {
  char* end = NULL;
  const long number = strtol(text, &end, 10);
  if (end == text || *end || number < 0) give_up("FAULTS_PLAN: no number: %s", text);
  return number;
}

static void read_field(struct rule* rule, char* field) {
  char* value = strchr(field, '=');
  if (value == NULL) give_up("FAULTS_PLAN: not KEY=VALUE: %s", field);
  *value++ = 0;
  if (strcmp(field, "call") == 0) rule->kinds = kinds_of(value);
  else if (strcmp(field, "file") == 0) rule->file = copy_text(value);
  else if (strcmp(field, "when") == 0) rule->when = copy_text(value);
  else if (strcmp(field, "keep") == 0) rule->keep = copy_text(value);
  else if (strcmp(field, "nth") == 0) rule->nth = number_of(value);
  else if (strcmp(field, "from") == 0) rule->from = number_of(value);
  else if (strcmp(field, "times") == 0) rule->times = number_of(value);
  else if (strcmp(field, "bytes") == 0) rule->bytes = number_of(value);
  else if (strcmp(field, "ms") == 0) rule->ms = number_of(value);
  else if (strcmp(field, "piece") == 0) rule->piece = number_of(value);
  else if (strcmp(field, "chance") == 0) rule->chance = strtod(value, NULL);
  else if (strcmp(field, "error") == 0) rule->error = error_of(value);
  else if (strcmp(field, "do") == 0) rule->action = action_of(value);
  else if (strcmp(field, "lose") == 0 && strcmp(value, "some") == 0) rule->lose_some = true;
  else if (strcmp(field, "lose") == 0 && strcmp(value, "all") == 0) rule->lose_some = false;
  else give_up("FAULTS_PLAN: no such field: %s=%s", field, value);
}

static void read_plan(const char* text) {
  char* plan = copy_text(text);
  char* rest = NULL;
  for (char* one = strtok_r(plan, ";", &rest); one; one = strtok_r(NULL, ";", &rest)) {
    if (rule_count == RULES_MOST) give_up("FAULTS_PLAN: more than %d rules", RULES_MOST);
    struct rule* rule = &rules[rule_count++];
    *rule = (struct rule){.kinds = (1u << KINDS) - 1, .action = ACTIONS, .piece = 4096};
    char* fields = NULL;
    for (char* field = strtok_r(one, ",", &fields); field; field = strtok_r(NULL, ",", &fields))
      read_field(rule, field);
    if (rule->action == ACTIONS) give_up("FAULTS_PLAN: a rule says not what to do");
    if (rule->action == ERROR && !rule->error) give_up("FAULTS_PLAN: do=error needs error=NAME");
    if (rule->action == WAIT && !rule->when) give_up("FAULTS_PLAN: do=wait needs when=PATH");
    if (rule->piece <= 0) give_up("FAULTS_PLAN: piece=%ld", rule->piece);
    if (!rule->nth && !rule->from && rule->chance == 0) rule->nth = 1;
    if (rule->action == FULL || rule->action == LIE || rule->action == WAIT) {
      if (rule->nth == 1) rule->nth = 0, rule->from = 1;  // these last
    }
  }
  free(plan);
}

// Looking counts: a rule that does not look at a call has not seen it.
static bool looks_at(const struct rule* rule, const struct call* call) {
  if (!(rule->kinds >> call->kind & 1)) return false;
  if (rule->file && fnmatch(rule->file, call->path, 0) != 0 &&
      (call->to == NULL || fnmatch(rule->file, call->to, 0) != 0))
    return false;
  return rule->when == NULL || exists(rule->when);
}

static bool fires(struct rule* rule) {
  ++rule->seen;
  if (rule->times && rule->fired >= rule->times) return false;
  bool now = rule->nth && rule->seen == rule->nth;
  now = now || (rule->from && rule->seen >= rule->from);
  now = now || (rule->chance > 0 && (double)(draw() >> 11) * 0x1p-53 < rule->chance);
  rule->fired += now;
  return now;
}

// The rules that this call meets, in the order of the plan; returns how many.
static int meet(const struct call* call, struct rule** met) {
  int found = 0;
  pthread_mutex_lock(&plan_lock);
  ++counts[call->kind];
  for (int i = 0; i < rule_count && found < MET_MOST; ++i) {
    if (!looks_at(&rules[i], call) || !fires(&rules[i])) continue;
    met[found++] = &rules[i];
    if (rules[i].fired == 1 || (rules[i].action != FULL && rules[i].action != LIE))
      note("fired %s at %s %s%s%s (the %ld. it saw), size %ld", action_names[rules[i].action],
           kind_names[call->kind], call->path, call->to ? " to " : "", call->to ? call->to : "",
           rules[i].seen, call->size);
  }
  pthread_mutex_unlock(&plan_lock);
  return found;
}
