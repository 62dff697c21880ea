/* Named by BCC's prologue; nothing in it is needed here. */
