/* Stands in for the program where archives and packages are tested (packaging/test-archives): it prints what they are made of, and is compiled at once. */
#include <stdio.h>
#include <string.h>

static int page(const char *folder, const char *name)
{
    char path[4096];
    FILE *file;
    if (snprintf(path, sizeof path, "%s/%s.1", folder, name) >= (int)sizeof path || !(file = fopen(path, "w")))
        return 1;
    fprintf(file, ".TH %s 1\n", name);
    return fclose(file) != 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "completions") == 0)
        return printf("# completions for %s\n", argv[2]) < 0;
    if (argc == 3 && strcmp(argv[1], "man") == 0)
        return page(argv[2], "bwdc") || page(argv[2], "bwdc-sync");
    return 2;
}
